"""天气助手：查询天气和城市信息的示例。

数据全部来自文件里的表格，不访问网络：天气是各城市当季的典型值，不是实时预报。换成真实的天气接口时，只需要改写
`WeatherTool.execute`。

    python -m myagent.cli.server examples/ws_weather_agent.py --host 0.0.0.0 --port 8080
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from myagent import RetryTool, create_react_agent
from myagent.tool.base_tool import BaseTool, ToolResult

CHINA = timezone(timedelta(hours=8))
DAYS = {"今天": 0, "明天": 1, "后天": 2}
ENGLISH_DAYS = {"today": 0, "tomorrow": 1, "the day after tomorrow": 2}
WEEKDAYS = "一二三四五六日"
SEASONS = ("春季", "夏季", "秋季", "冬季")
ENGLISH_SEASONS = ("spring", "summer", "autumn", "winter")


@dataclass(frozen=True)
class Weather:
    """一个季节的典型天气；气温单位为摄氏度。"""

    condition: str
    low: int
    high: int
    wind: str

    @property
    def english(self) -> str:
        """天气状况和风向的英文说法。"""
        return f"{ENGLISH[self.condition]}, {ENGLISH[self.wind.split()[0]]}"


@dataclass(frozen=True)
class City:
    """一座城市。人口单位为万人（2020 年人口普查），面积单位为平方公里；`seasons` 依次是春、夏、秋、冬。"""

    english: str
    population: int
    area: int
    area_code: str
    region: str
    english_region: str
    known_for: str
    english_known_for: str
    seasons: tuple[Weather, Weather, Weather, Weather]


# fmt: off
CITIES = {
    "北京": City(
        "Beijing", 2189, 16410, "010",
        "直辖市，中国的首都", "a municipality and the capital of China",
        "故宫、长城、天坛、颐和园", "the Forbidden City, the Great Wall, the Temple of Heaven, the Summer Palace",
        (
            Weather("晴间多云", 9, 21, "北风 3 级"), Weather("多云，午后有雷阵雨", 23, 31, "南风 2 级"),
            Weather("晴", 8, 19, "北风 2 级"), Weather("晴，干燥", -8, 2, "西北风 4 级"),
        ),
    ),
    "上海": City(
        "Shanghai", 2487, 6341, "021",
        "直辖市，位于长江入海口", "a municipality at the mouth of the Yangtze",
        "外滩、豫园、东方明珠、陆家嘴", "the Bund, Yu Garden, the Oriental Pearl Tower, Lujiazui",
        (
            Weather("多云有小雨", 12, 20, "东南风 3 级"), Weather("多云，闷热", 26, 33, "东南风 3 级"),
            Weather("晴到多云", 16, 23, "东北风 3 级"), Weather("阴，湿冷", 2, 8, "西北风 3 级"),
        ),
    ),
    "广州": City(
        "Guangzhou", 1868, 7434, "020",
        "广东省省会", "the capital of Guangdong",
        "广州塔、陈家祠、沙面、早茶", "the Canton Tower, the Chen Clan Hall, Shamian, dim sum",
        (
            Weather("阴有阵雨，潮湿", 20, 26, "东南风 2 级"), Weather("雷阵雨，炎热", 26, 33, "南风 2 级"),
            Weather("晴", 21, 29, "北风 2 级"), Weather("多云", 11, 19, "北风 3 级"),
        ),
    ),
    "深圳": City(
        "Shenzhen", 1756, 1997, "0755",
        "广东省，经济特区", "a special economic zone in Guangdong",
        "世界之窗、莲花山、大梅沙、科技产业", "the Window of the World, Lianhuashan, Dameisha, technology",
        (
            Weather("多云有阵雨", 21, 27, "东南风 3 级"), Weather("雷阵雨", 26, 32, "南风 3 级"),
            Weather("晴到多云", 22, 29, "东北风 3 级"), Weather("晴到多云", 12, 20, "东北风 3 级"),
        ),
    ),
    "成都": City(
        "Chengdu", 2094, 14335, "028",
        "四川省省会", "the capital of Sichuan",
        "大熊猫、宽窄巷子、都江堰、川菜", "giant pandas, Kuanzhai Alley, Dujiangyan, Sichuan cuisine",
        (
            Weather("多云", 13, 22, "微风"), Weather("阴有阵雨", 22, 31, "微风"),
            Weather("阴", 15, 21, "微风"), Weather("阴，有雾", 3, 10, "微风"),
        ),
    ),
    "杭州": City(
        "Hangzhou", 1194, 16850, "0571",
        "浙江省省会", "the capital of Zhejiang",
        "西湖、灵隐寺、龙井茶、京杭大运河", "West Lake, Lingyin Temple, Longjing tea, the Grand Canal",
        (
            Weather("小雨转多云", 12, 21, "东风 2 级"), Weather("多云，炎热", 25, 34, "南风 2 级"),
            Weather("晴，桂花开放", 15, 23, "东北风 2 级"), Weather("阴有小雨", 2, 9, "北风 3 级"),
        ),
    ),
    "武汉": City(
        "Wuhan", 1233, 8569, "027",
        "湖北省省会，长江与汉江交汇处", "the capital of Hubei, where the Han meets the Yangtze",
        "黄鹤楼、东湖、长江大桥、热干面", "the Yellow Crane Tower, East Lake, the Yangtze bridge, hot dry noodles",
        (
            Weather("多云有阵雨", 13, 22, "东南风 2 级"), Weather("晴，炎热", 26, 33, "南风 2 级"),
            Weather("晴", 14, 23, "北风 2 级"), Weather("阴，湿冷", 1, 8, "北风 3 级"),
        ),
    ),
    "西安": City(
        "Xi'an", 1295, 10752, "029",
        "陕西省省会，十三朝古都", "the capital of Shaanxi, once that of thirteen dynasties",
        "兵马俑、城墙、大雁塔、羊肉泡馍",
        "the Terracotta Army, the city wall, the Big Wild Goose Pagoda, lamb soup with bread",
        (
            Weather("晴间多云", 10, 22, "东北风 2 级"), Weather("晴，炎热", 22, 33, "东北风 2 级"),
            Weather("多云有小雨", 10, 19, "东北风 2 级"), Weather("晴，干冷", -4, 5, "东北风 2 级"),
        ),
    ),
    "重庆": City(
        "Chongqing", 3205, 82402, "023",
        "直辖市，山城", "a municipality, the city of mountains",
        "洪崖洞、长江索道、大足石刻、火锅", "Hongya Cave, the Yangtze cableway, the Dazu carvings, hot pot",
        (
            Weather("多云", 15, 23, "微风"), Weather("晴，酷热", 25, 34, "微风"),
            Weather("阴有小雨", 16, 22, "微风"), Weather("阴，有雾", 6, 11, "微风"),
        ),
    ),
    "南京": City(
        "Nanjing", 931, 6587, "025",
        "江苏省省会，六朝古都", "the capital of Jiangsu, once that of six dynasties",
        "中山陵、明孝陵、夫子庙、盐水鸭",
        "the Sun Yat-sen Mausoleum, the Ming tombs, the Confucius Temple, salted duck",
        (
            Weather("多云", 11, 21, "东风 3 级"), Weather("多云，闷热", 25, 32, "东南风 3 级"),
            Weather("晴", 13, 22, "东北风 2 级"), Weather("晴到多云", -1, 7, "北风 3 级"),
        ),
    ),
}
# 用英文提问时，工具也用英文回答。
ENGLISH = {
    "晴间多云": "sunny with some clouds", "多云，午后有雷阵雨": "cloudy with thundershowers in the afternoon",
    "晴": "sunny", "晴，干燥": "sunny and dry", "多云有小雨": "cloudy with light rain",
    "多云，闷热": "cloudy and muggy", "晴到多云": "sunny to cloudy", "阴，湿冷": "overcast, cold and damp",
    "阴有阵雨，潮湿": "overcast and humid with showers", "雷阵雨，炎热": "hot with thundershowers",
    "多云": "cloudy", "多云有阵雨": "cloudy with showers", "雷阵雨": "thundershowers",
    "阴有阵雨": "overcast with showers", "阴": "overcast", "阴，有雾": "overcast with fog",
    "小雨转多云": "light rain, then cloudy", "多云，炎热": "cloudy and hot",
    "晴，桂花开放": "sunny, the osmanthus in flower", "阴有小雨": "overcast with light rain",
    "晴，炎热": "sunny and hot", "晴，干冷": "sunny, dry and cold", "晴，酷热": "sunny and very hot",
    "北风": "north wind", "南风": "south wind", "西北风": "north-west wind", "东南风": "south-east wind",
    "东北风": "north-east wind", "微风": "light wind", "东风": "east wind",
}
# fmt: on

# `examples` 而不是 `enum`：模型可以写“北京市”，不认识的城市由工具自己说明。
CITY_PARAMETER = {
    "type": "string",
    "description": "城市名称，用提问的语言",
    "examples": [*CITIES, *(city.english for city in CITIES.values())],
}


def find_city(text: str) -> tuple[str, City]:
    """城市的标准名称和数据；不认识时抛出 `RetryTool`，告诉模型有哪些城市。"""
    wanted = text.strip().removesuffix("市").casefold()
    for name, city in CITIES.items():
        if wanted in (name, city.english.casefold()):
            return name, city
    if is_english(text):
        raise RetryTool(
            f"There is no data of {text!r}. Known are: {', '.join(city.english for city in CITIES.values())}."
        )
    raise RetryTool(f"没有城市 {text!r} 的数据。可以查询的城市：{'、'.join(CITIES)}。")


def is_english(text: str) -> bool:
    """城市名是不是用英文写的。"""
    return text.isascii()


def season_of(day: date) -> int:
    """日期所在的季节：0 到 3 依次是春、夏、秋、冬。"""
    return (day.month - 3) % 12 // 3


class WeatherTool(BaseTool):
    name = "get_weather"
    description = "查询一个城市今天、明天或后天的天气：天气状况、气温和风力 (the weather in a city)"
    parameters = {
        "type": "object",
        "properties": {
            "city": CITY_PARAMETER,
            "day": {"type": "string", "description": "哪一天，默认为今天", "enum": [*DAYS, *ENGLISH_DAYS]},
        },
        "required": ["city"],
    }

    async def execute(self, city: str, day: str = "今天") -> ToolResult:
        name, found = find_city(city)
        ahead = {**DAYS, **ENGLISH_DAYS}[day]
        on = datetime.now(CHINA).date() + timedelta(days=ahead)
        season = season_of(on)
        weather = found.seasons[season]
        if is_english(city) or day in ENGLISH_DAYS:
            output = (
                f"{found.english} {list(ENGLISH_DAYS)[ahead]} ({on:%A, %d.%m.}): {weather.english}, "
                f"{weather.low} to {weather.high} °C. That is typical for {ENGLISH_SEASONS[season]}, not a forecast."
            )
        else:
            output = (
                f"{name}{list(DAYS)[ahead]}（{on.month}月{on.day}日，星期{WEEKDAYS[on.weekday()]}）："
                f"{weather.condition}，{weather.low}～{weather.high} ℃，{weather.wind}。"
                f"这是{SEASONS[season]}的典型天气，不是实时预报。"
            )
        return ToolResult(
            output=output,
            data={
                "city": name,
                "date": on.isoformat(),
                "condition": weather.condition,
                "low": weather.low,
                "high": weather.high,
                "wind": weather.wind,
            },
        )


class CityInfoTool(BaseTool):
    name = "get_city_info"
    description = "查询一个城市的基本信息：所在地区、人口、面积、区号和名胜特产 (tells about a city)"
    parameters = {
        "type": "object",
        "properties": {"city": CITY_PARAMETER},
        "required": ["city"],
    }

    async def execute(self, city: str) -> ToolResult:
        name, found = find_city(city)
        if is_english(city):
            output = (
                f"{found.english} is {found.english_region}. It has about {found.population * 10_000:,} inhabitants "
                f"(2020) on {found.area:,} km², and the area code {found.area_code}. "
                f"It is known for {found.english_known_for}."
            )
        else:
            output = (
                f"{name}（{found.english}）：{found.region}。人口约 {found.population} 万（2020 年），"
                f"面积约 {found.area} 平方公里，电话区号 {found.area_code}。以{found.known_for}闻名。"
            )
        return ToolResult(
            output=output,
            data={
                "city": name,
                "english": found.english,
                "region": found.region,
                "population": found.population * 10_000,
                "area_km2": found.area,
                "area_code": found.area_code,
            },
        )


# 必须命名为 'agent'
agent = create_react_agent(
    name="weather-assistant",
    description="回答关于天气和城市的问题 · Answers questions about weather and cities",
    examples=[
        "北京今天天气怎么样？",
        "告诉我上海的基本信息",
        "How is the weather in Beijing tomorrow?",
        "Tell me about Shanghai",
    ],
    tools=[WeatherTool(), CityInfoTool()],
    system_prompt=(
        "你是一个友好的天气助手。用户问天气时调用 get_weather，问城市情况时调用 get_city_info；一次问到几个城市时，"
        "同时调用几次。只根据工具的结果回答，并说明天气是当季的典型值而不是实时预报。工具没有某个城市的数据时，"
        "告诉用户可以查询哪些城市。用用户的语言简洁地回答，城市名和日期也用用户的语言写给工具。"
    ),
    max_steps=5,
)
