"""Streams that are refused in their middle, read by SDKs that know no refusal: what each of them makes of it."""

import anthropic
import openai

import stage


def conversation(call):
    return {"openai": chat(call), "anthropic": messages(call)}


def chat(call):
    client = openai.OpenAI(
        base_url=f"{call.url}/v1", api_key=call.token, default_headers=call.headers, max_retries=0, timeout=30
    )
    ask = [{"role": "user", "content": call.text}]
    read = []
    try:
        with client.chat.completions.create(model="gpt-5", messages=ask, stream=True) as chunks:
            for chunk in chunks:
                read += [choice.delta.content for choice in chunk.choices]
    except openai.APIError as error:
        return {"read": read, "error": type(error).__name__, "message": error.message, "code": error.code}
    return {"read": read, "error": None}


def messages(call):
    client = anthropic.Anthropic(
        base_url=call.url, auth_token=call.token, default_headers=call.headers, max_retries=0, timeout=30
    )
    ask = [{"role": "user", "content": call.text}]
    read = []
    try:
        with client.messages.create(model="claude-sonnet-4", max_tokens=64, messages=ask, stream=True) as events:
            for event in events:
                read += [event.delta.text] if event.type == "content_block_delta" else []
    except anthropic.APIError as error:
        return {"read": read, "error": type(error).__name__, "body": error.body}
    return {"read": read, "error": None}


stage.play(conversation)
