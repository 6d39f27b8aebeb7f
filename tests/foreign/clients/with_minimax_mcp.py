"""Speaks to MiniMax's own MCP server as an assistant does, and has it make a clip and save it into the folder."""

import asyncio
import os
import sys
from pathlib import Path

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

SERVER = Path(sys.executable).with_name("minimax-mcp")


async def main(folder: str) -> None:
    server = StdioServerParameters(command=str(SERVER), env=dict(os.environ))
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        order = {"model": "MiniMax-Hailuo-02", "prompt": "a fox in the snow", "output_directory": folder}
        result = await session.call_tool("generate_video", order)
    print(*(part.text for part in result.content))
    if result.is_error:
        raise SystemExit(1)


asyncio.run(main(*sys.argv[1:]))
