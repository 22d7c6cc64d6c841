"""Messages with the `anthropic` SDK: a stream with thinking and tools, then a whole answer."""

import anthropic

import stage


def conversation(call):
    client = anthropic.Anthropic(
        base_url=call.url, auth_token=call.token, default_headers=call.headers, max_retries=0
    )
    ask = {
        "model": "claude-sonnet-4",
        "max_tokens": 2048,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "system": "Answer briefly.",
        "messages": [{"role": "user", "content": call.text}],
    }
    events = []
    with client.beta.messages.stream(**ask) as stream:
        for event in stream:
            events.append(event.type)
        streamed = stream.get_final_message()
    whole = client.messages.create(**ask)
    return {
        "kinds": sorted(set(events)),
        "streamed": streamed.model_dump(mode="json"),
        "whole": whole.model_dump(mode="json"),
    }


stage.play(conversation)
