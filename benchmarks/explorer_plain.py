"""What people write in an afternoon, as the peer: a Dash page that holds all vectors and redraws on a click.

The vectors are in memory, the projection is made before the page is served (two principal components,
so that start-up is as quick as it can be), the picture travels inside the answer, and the chosen point
is marked in a figure that is built anew.
"""

from __future__ import annotations

import base64
import io
import sys

import numpy as np
import plotly.graph_objects as go
from dash import Dash, Input, Output, dcc, html
from PIL import Image

from voxloom.formats.store import Store


def main() -> None:
    folder, port = sys.argv[1], int(sys.argv[2])
    latents, images = Store(f"{folder}/latents"), Store(f"{folder}/images")
    vectors = np.array(latents.column("image_mu")).reshape(len(latents), -1)
    labels = np.array(latents.column("label"))
    some = vectors[:2000] - vectors[:2000].mean(0)
    basis = np.linalg.svd(some, full_matrices=False)[2][:2]
    places = vectors @ basis.T

    def figure(chosen: int | None) -> go.Figure:
        drawn = go.Figure(layout={"height": 650, "uirevision": "kept"})
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            drawn.add_scattergl(x=places[rows, 0], y=places[rows, 1], mode="markers", name=str(label))
        if chosen is not None:
            drawn.add_scattergl(x=places[[chosen], 0], y=places[[chosen], 1], mode="markers")
        return drawn

    app = Dash("plain")
    app.layout = html.Div([dcc.Graph(id="plot", figure=figure(None)), html.Img(id="image")])

    @app.callback(Output("plot", "figure"), Output("image", "src"), Input("plot", "clickData"))
    def show(clicked):
        if not clicked:
            return figure(None), ""
        point = clicked["points"][0]
        row = int(np.flatnonzero(labels == np.unique(labels)[point["curveNumber"]])[point["pointNumber"]])
        pixels = images[row]["image"][0]
        buffer = io.BytesIO()
        Image.fromarray((255 * (pixels / pixels.max())).astype("uint8")).save(buffer, "PNG")
        return figure(row), f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"

    app.run(port=port)


if __name__ == "__main__":
    main()
