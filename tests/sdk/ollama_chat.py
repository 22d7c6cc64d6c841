"""A chat stream with the `ollama` SDK."""

import ollama

import stage


def conversation(call):
    client = ollama.Client(host=call.url, headers=call.authorization)
    text, thinking, last = "", "", None
    for part in client.chat(
        model="llama3", messages=[{"role": "user", "content": call.text}], stream=True, think=True
    ):
        text += part.message.content or ""
        thinking += part.message.thinking or ""
        last = part
    return {"text": text, "thinking": thinking, "last": last.model_dump(mode="json")}


stage.play(conversation)
