"""How endpoints word what is wrong: the one place that knows phrases of vendors. Pure functions on their texts.

Status codes say little: the same one stands for a full queue and an empty account, for a bad request and one that is
too long. So the words decide, by what they speak of rather than by whole sentences.
"""

from __future__ import annotations

import re


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


# --- a request that is longer than the model can read ---

_TOO_LONG = _words(
    # codes
    r"context_?length_?exceeded|exceed_?context_?size|max_prompt_tokens_exceeded|model_max_prompt_tokens",
    r"context_?window_?exceeded|prompt_?too_?long|request_?too_?large|input_?too_?long|string_above_max_length.*content",
    # phrases
    r"(?:maximum|max\.?) (?:context|model|prompt|input|sequence)[ _-]?(?:length|size|tokens)",
    r"max_?(?:model_?len|seq_?len|input_?(?:length|tokens)|prompt_?tokens|context_?length)\b",
    r"(?:prompt|input|request|messages?|conversation|history|context)\W{0,3} (?:is|are|was) (?:\w+ ){0,2}too long",
    r"too many (?:input |prompt )?tokens|range of input length|request too large|reduce the length of the messages",
    r"model token limit|token limit of (?:the|this) model|context (?:length|window|size|limit|overflow)",
    r"上下文.{0,12}(?:超|过长|限制)|(?:输入|提示词?|请求|对话|prompt).{0,12}(?:超长|过长|超出|超过)|超长",
)
_INPUT = _words(r"prompt|inputs?\b|request|messages?\b|context|conversation|history|token count|tokens? in")
_EXCESS = _words(
    r"exceed|(?:longer|greater|larger|more) than|too (?:long|large|many)",
    r"(?:must|should|can|has to) (?:have|be) (?:less|fewer)",
    r"(?:must|should) be (?:<|at most|under|below|in the range)|over the (?:limit|maximum)|above the|not fit",
)
_MEASURE = _words(r"tokens?\b|context|seq_?len|sequence length|window")
# "max_tokens is too large: this model supports at most 4096 completion tokens" is about the answer.
_ABOUT_ANSWER = _words(
    r"max_(?:completion_|new_|output_)?tokens\W{0,2} (?:is|must|should|cannot|value|has)|invalid max_\w*tokens",
    r"(?:completion|output) tokens? (?:limit|must)|supports at most",
)
_ABOUT_RATE = _words(
    r"per (?:second|minute|min\b|hour|day)|\b[rt]p[smd]\b|rate.?limit|quota|concurren|too many requests|\btokens? used"
)
_ABOUT_KEY = _words(r"\b(?:api|access|auth\w*|bearer|id|security|jwt)[ _-]?(?:key|token)|token (?:has )?expired")
_LARGER_THAN_A_RATE = _words(r"request[ _](?:is )?too[ _]large")


def says_too_long(words: str) -> bool:
    """Whether an error says that the request is longer than the model can read."""
    if _ABOUT_RATE.search(words):
        # Where a single request is more than a minute's allowance, waiting does not help, and a shorter one does.
        return _LARGER_THAN_A_RATE.search(words) is not None
    if _ABOUT_KEY.search(words):
        return False
    if _ABOUT_ANSWER.search(words) and not re.search(r"prompt|inputs?\b|messages|context", words, re.IGNORECASE):
        return False
    if _TOO_LONG.search(words):
        return True
    return all(about.search(words) is not None for about in (_INPUT, _EXCESS, _MEASURE))


_NUMBER = r"\d{1,3}(?:[,_]\d{3})+|\d+"
_LIMIT = re.compile(
    r"(?:maximum|limit|max_?\w+|context (?:length|size|window)|allowed|(?:less|more|longer|greater|larger) than|<=?|>)"
    rf"[^\d.]{{0,30}}({_NUMBER})\b|\b({_NUMBER})\W{{0,3}}(?:tokens? )?(?:maximum|limit)",
    re.IGNORECASE,
)
_FEWEST_TOKENS = 256


def token_limit(words: str) -> int | None:
    """The tokens that a model can read, where an error that it was too many names them."""
    numbers = {_number(found) for found in re.findall(rf"\b(?:{_NUMBER})\b", words)}
    limits = {_number(found[1] or found[2]) for found in _LIMIT.finditer(words)}
    possible = [limit for limit in limits if limit >= _FEWEST_TOKENS and (limit < max(numbers) or len(numbers) == 1)]
    return max(possible, default=None)


def _number(text: str) -> int:
    return int(text.replace(",", "").replace("_", ""))


# --- an endpoint that does not answer now, or does not answer this account ---

_USED_UP = _words(
    r"insufficient.?(?:quota|balance|credit|fund)|quota|billing|balance|credits?\b|arrears|payment|prepaid|top.?up",
    r"recharge|spend(?:ing)? limit|usage limit|purchase|subscription|欠费|余额|额度|充值|套餐",
)
_COMES_BACK = _words(
    r"per (?:second|minute|min\b)|per(?:second|minute)|\b[rt]pm\b|(?:retry|try again|available) (?:in|after)\b",
    r"retry.?(?:delay|after)|concurren|too many requests|overloaded|每分钟|并发|稍后",
)


def says_used_up(words: str) -> bool:
    """Whether an error says that the account has nothing left, which does not come back within seconds."""
    return _USED_UP.search(words) is not None and _COMES_BACK.search(words) is None


_LOADING = _words(
    r"(?:is|still|currently|being) (?:\w+ )?(?:load|start|warm|initiali[sz])(?:ing|ed)|loading (?:the )?model",
    r"model (?:is )?loading|warming up|starting up|cold.?start|not (?:yet )?ready|scaling (?:up|from)|加载中|启动中",
)


def says_loading(words: str) -> bool:
    """Whether an error says that the model is being loaded, and will answer when it is."""
    return _LOADING.search(words) is not None


# --- a model that reads text only ---

_PICTURES = _words(r"image|vision|multi-?modal|picture|modalit|图片|图像|多模态|视觉")
_NOT_TAKEN = _words(
    r"not (?:be )?(?:support|allow|accept|capable|a (?:multi-?modal|vision))",
    r"n't (?:support|accept|allow)|unsupported(?! (?:image|picture|file|media))|at most 0|不支持|仅支持|只支持",
    r"no (?:endpoints?|models?|provider).{0,40}support|only (?:support|accept|text)|(?:text|string)[- ]only",
    r"unknown variant|unknown (?:content )?type|invalid (?:value|content|type)|expected `?(?:text|string)|mmproj",
)
_TEXT_ALONE = _words(r"content.{0,60}(?:should|must) be a (?:valid )?string")


def says_no_pictures(words: str) -> bool:
    """Whether an error says that the model takes no pictures at all."""
    about_pictures = _PICTURES.search(words) is not None and _NOT_TAKEN.search(words) is not None
    return about_pictures or _TEXT_ALONE.search(words) is not None


# --- parameters that an endpoint does not take ---

ABOUT_USAGE = _words(r"\bstream_options|\binclude_usage")
ABOUT_STREAM = _words(r"\bstream")
ABOUT_TOKEN_LIMIT = _words(r"max_completion_tokens")
ABOUT_SCHEMAS = _words(
    r"\$ref|\$defs|additional_?properties|unknown name|function_?declarations?|tools?\W+\d+",
    r"(?:json|tool|parameters?) schema",
    r"schema (?:is|of|for|must|error|valid)|unsupported (?:keyword|schema)",
)
ABOUT_RESPONSE_FORMAT = _words(
    r"response.?(?:format|mime|schema)|json_schema|json mode|structured.?output|guided_|grammar"
)
