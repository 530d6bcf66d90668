"""Which package has a module, for modules that agents often import."""

from __future__ import annotations

_OTHER_NAMES = {
    "Crypto": "pycryptodome",
    "Levenshtein": "levenshtein",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "discord": "discord.py",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "ebooklib": "EbookLib",
    "faiss": "faiss-cpu",
    "fitz": "pymupdf",
    "git": "GitPython",
    "github": "PyGithub",
    "googleapiclient": "google-api-python-client",
    "googlesearch": "googlesearch-python",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "kafka": "kafka-python",
    "lark_oapi": "lark-oapi",
    "ldap": "python-ldap",
    "magic": "python-magic",
    "mpl_toolkits": "matplotlib",
    "multipart": "python-multipart",
    "nacl": "pynacl",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "pythoncom": "pywin32",
    "serial": "pyserial",
    "sentence_transformers": "sentence-transformers",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "speech_recognition": "SpeechRecognition",
    "telegram": "python-telegram-bot",
    "usb": "pyusb",
    "vertexai": "google-cloud-aiplatform",
    "websocket": "websocket-client",
    "win32api": "pywin32",
    "win32com": "pywin32",
    "wx": "wxPython",
    "yaml": "pyyaml",
    "youtube_transcript_api": "youtube-transcript-api",
    "zmq": "pyzmq",
    # Of several parts, each a package of its own.
    "google.cloud.bigquery": "google-cloud-bigquery",
    "google.cloud.storage": "google-cloud-storage",
    "google.genai": "google-genai",
    "google.generativeai": "google-generativeai",
    "google.oauth2": "google-auth",
    "google.protobuf": "protobuf",
    "ruamel.yaml": "ruamel.yaml",
}
"""The packages of modules that have other names."""

_SAME_NAMES = """
aiofiles aiohttp anthropic apscheduler arxiv boto3 celery chromadb duckdb fastapi fastmcp feedparser flask
gradio httpx jieba jinja2 langchain langgraph litellm lxml markdown matplotlib mcp numpy ollama openai openpyxl
pandas paramiko playwright polars psutil psycopg pyautogui pydantic pymysql pypdf pytest pytz redis requests
scipy seaborn selenium sqlalchemy streamlit sympy tabulate tenacity tiktoken torch tqdm transformers uvicorn
wikipedia yfinance
"""
"""Modules whose packages are called like them."""


def package_of(module: str) -> str | None:
    """The package on PyPI that has `module`, a dotted name; None when it is not known here."""
    parts = module.split(".")
    for count in range(len(parts), 0, -1):
        if (package := _OTHER_NAMES.get(".".join(parts[:count]))) is not None:
            return package
    return parts[0] if parts[0] in _SAME_NAMES.split() else None
