import pytest

from myagent.llm.http.wordings import says_loading, says_no_pictures, says_too_long, says_used_up, token_limit

TOO_LONG = {
    "The input token count (1196265) exceeds the maximum number of tokens allowed (1048576).": 1048576,
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.": 131072,
    "Invalid request: Your request exceeded model token limit: 8192": 8192,
    "prompt token count of 91234 exceeds the limit of 64000": 64000,
    "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`": 4096,
    "inputs must have less than 4096 tokens. Given: 5000": 4096,
    "length of prompt_tokens (48000) must be less than max_seq_len (32768).": 32768,
    "request (9120 tokens) exceeds the available context size (8192 tokens), try increasing it": 8192,
    "maximum context length is 8,192 tokens. However, you requested 9000 (8000 in the messages, 1000 more)": 8192,
    "prompt is too long: 210000 tokens > 200000 maximum": 200000,
    "Context size has been exceeded.": None,
    "Input is too long for requested model.": None,
    "invalid params, context window exceeds limit (2013)": 2013,
    "The input (9000 tokens) is longer than the model's context length (8192 tokens).": 8192,
    "Prompt contains 40960 tokens, too large for model with 32768 maximum context length": 32768,
    "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 7000": 6000,
    "Total tokens of image and text exceed max message tokens": None,
    "the model takes 500 words and this conversation has more tokens than it can hold, which is too many": None,
    "输入长度超出上下文限制": None,
    "context_length_exceeded": None,
}


@pytest.mark.parametrize(("words", "limit"), TOO_LONG.items(), ids=[words[:40] for words in TOO_LONG])
def test_too_long(words, limit):
    assert says_too_long(words)
    if limit is not None:
        assert token_limit(words) == limit


@pytest.mark.parametrize(
    "words",
    [
        "max_tokens is too large: 9999. This model supports at most 4096 completion tokens",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        "Rate limit reached on tokens per min (TPM): Limit 10000, Used 9000, Requested 2000.",
        "messages[3].tool_calls[0].function.name: string too long. Expected a string with maximum length 64",
        "invalid token: the access token has expired",
        "You exceeded your current quota, please check your plan",
        "the image is too large",
        "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "tool_choice is not supported",
        "temperature must be less than 2",
    ],
)
def test_what_is_not_too_long(words):
    assert not says_too_long(words)


@pytest.mark.parametrize(
    ("words", "used_up"),
    [
        ("insufficient_quota: you exceeded your current quota, see your plan and billing details", True),
        ("Insufficient Balance", True),
        ("Your credit balance is too low", True),
        ("the account is in arrears", True),
        ("账户余额不足，请充值", True),
        ("You exceeded your current quota. Please retry in 37.5s. Limit: GenerateRequestsPerMinute", False),
        ("quota exceeded: 60 requests per minute", False),
        ("Rate limit reached", False),
        ("the server is busy", False),
    ],
)
def test_used_up(words, used_up):
    assert says_used_up(words) is used_up


@pytest.mark.parametrize(
    ("words", "loading"),
    [
        ("Loading model", True),
        ("Model org/name is currently loading", True),
        ("The model is warming up", True),
        ("Service unavailable", False),
        ("no worker is free", False),
        ("failed to load the model", False),
    ],
)
def test_loading(words, loading):
    assert says_loading(words) is loading


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Failed to deserialize: messages[3]: unknown variant `image_url`, expected `text`", True),
        ("meta-llama/Llama-3.1-8B is not a multimodal model", True),
        ("image input is not supported - hint: you may need to provide the mmproj", True),
        ("No endpoints found that support image input", True),
        ("Invalid content type. image_url is only supported by certain models.", True),
        ("At most 0 image(s) may be provided in one request.", True),
        ("messages.2.content: Input should be a valid string", True),
        ("该模型不支持图片输入", True),
        ("the image is too large", False),
        ("You uploaded an unsupported image. Please make sure your image is valid.", False),
        ("Could not decode the image", False),
        ("tools are not supported", False),
        ("The server is overloaded", False),
    ],
)
def test_says_no_pictures(words, expected):
    assert says_no_pictures(words) is expected
