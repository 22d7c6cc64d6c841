"""Chat completions with the `openai` SDK: a stream, then a whole answer."""

import openai

import stage


def conversation(call):
    client = openai.OpenAI(
        base_url=f"{call.url}/v1", api_key=call.token, default_headers=call.headers, max_retries=0
    )
    messages = [
        {"role": "system", "content": "Answer briefly."},
        {"role": "user", "content": [{"type": "text", "text": call.text}]},
    ]
    with client.chat.completions.create(
        model="gpt-5", messages=messages, stream=True, stream_options={"include_usage": True}
    ) as chunks:
        streamed = read(chunks)
    whole = client.chat.completions.create(model="gpt-5", messages=messages, user=call.text)
    return {"streamed": streamed, "whole": whole.model_dump(mode="json")}


def read(chunks):
    """Joins the fragments of each channel."""
    texts, ends, ids = {}, [], set()
    for chunk in chunks:
        ids.add(chunk.id)
        for choice in chunk.choices:
            for channel, fragment in choice.delta.model_dump().items():
                if isinstance(fragment, str) and channel not in ("role", "channel"):
                    texts[channel] = texts.get(channel, "") + fragment
            if choice.finish_reason:
                ends.append(choice.finish_reason)
    return {"texts": texts, "ends": ends, "ids": sorted(ids)}


stage.play(conversation)
