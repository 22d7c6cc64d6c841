"""The `mcp` SDK over streamable HTTP: initialize, tools/list, tools/call."""

import anyio
import httpx2
import mcp
from mcp.client.streamable_http import streamable_http_client

import stage


def conversation(call):
    return anyio.run(converse, call)


async def converse(call):
    async with (
        httpx2.AsyncClient(headers=call.authorization, timeout=30) as http,
        streamable_http_client(f"{call.url}/mcp", http_client=http) as (reading, writing),
        mcp.ClientSession(reading, writing) as session,
    ):
        hello = await session.initialize()
        tools = await session.list_tools()
        answer = await session.call_tool("ask_question", {"repoName": "a/b", "question": call.text})
        told = {"hello": hello, "tools": tools, "answer": answer}
        return {name: model.model_dump(mode="json") for name, model in told.items()}


stage.play(conversation)
