"""A stand-in for Dataverse: its own process, a real socket, the Web API's rules as far as they are known.

The rules live in pure modules (state and a request in, an answer out, time from an injectable clock);
`app.py` is the thin shell that speaks HTTP, `server.py` starts and stops the process from a test or the demo.
Imports nothing of ours, so that it cannot share the client's mistakes.
"""
