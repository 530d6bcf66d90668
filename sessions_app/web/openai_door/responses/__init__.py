"""OpenAI's Responses API: a run as one response, or as several with questions between them."""
