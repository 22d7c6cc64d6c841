"""Responses with the `openai` SDK, as a stream."""

import openai

import stage


def conversation(call):
    client = openai.OpenAI(
        base_url=f"{call.url}/v1", api_key=call.token, default_headers=call.headers, max_retries=0
    )
    texts, kinds = {}, set()
    with client.responses.stream(model="gpt-5", input=call.text, instructions="Answer briefly.") as events:
        for event in events:
            kinds.add(event.type)
            if event.type.endswith(".delta"):
                channel = f"{event.type} {event.output_index}"
                texts[channel] = texts.get(channel, "") + event.delta
            elif event.type.endswith(".done") and hasattr(event, "text"):
                texts[event.type] = event.text
        final = events.get_final_response()
    return {"texts": texts, "kinds": sorted(kinds), "final": final.model_dump(mode="json")}


stage.play(conversation)
