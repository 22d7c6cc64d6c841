"""`generate_content_stream` of the `google-genai` SDK."""

from google import genai
from google.genai import types

import stage


def conversation(call):
    client = genai.Client(
        api_key="unused", http_options=types.HttpOptions(base_url=call.url, headers=call.authorization)
    )
    text, ends, thoughts = "", [], ""
    for chunk in client.models.generate_content_stream(
        model="gemini-2.5-pro",
        contents=call.text,
        config=types.GenerateContentConfig(system_instruction="Answer briefly."),
    ):
        for candidate in chunk.candidates or []:
            for part in (candidate.content and candidate.content.parts) or []:
                if part.thought:
                    thoughts += part.text or ""
                else:
                    text += part.text or ""
            if candidate.finish_reason:
                ends.append(candidate.finish_reason.value)
    return {"text": text, "thoughts": thoughts, "ends": ends, "model": chunk.model_version}


stage.play(conversation)
