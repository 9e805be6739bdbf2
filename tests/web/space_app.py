"A small Space for the client in web/src/space.ts: `python tests/web/space_app.py PORT`, until it is ended"
import sys

import gradio as gr


def predict(path: str) -> dict[str, float]:
    "The same answer to every picture"
    if path is None: raise gr.Error("no picture")
    return {"saint_bernard": 0.25, "pug": 0.7, "beagle": 0.05}


gr.Interface(predict, gr.Image(type="filepath"), gr.Label(), api_name="predict").launch(
    server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True)
