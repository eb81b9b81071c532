"""A server of tools by the official SDK: on standard streams, or by streamable HTTP on a free port."""

import base64
import socket
import sys

from mcp.server.fastmcp import Context, FastMCP, Image

server = FastMCP("sums")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def picture() -> Image:
    """One pixel."""
    return Image(data=PNG, format="png")


@server.tool()
def fails() -> str:
    """Never works."""
    raise ValueError("nothing works here")


@server.tool()
async def grow(ctx: Context) -> str:
    """Adds a tool to the server."""
    server.add_tool(lambda: "I am new", name="grown", description="New.")
    await ctx.session.send_tool_list_changed()
    return "grown"


@server.tool()
async def steps(ctx: Context) -> str:
    """Tells of its progress before it answers."""
    for step in range(3):
        await ctx.report_progress(step, 3)
        await ctx.info(f"step {step}")
    return "all steps"


if sys.argv[1] == "stdio":
    server.run("stdio")
else:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    print(f"port {port}", flush=True)
    server.settings.port = port
    server.run("streamable-http")
