"""A .tflite written straight from a captured graph, and read back.

No converter stands between: scales, zero points and integer weights are those of the graph, copied.

- `graph`: the captured graph as the writer reads it;
- `model`: the flatbuffer, built;
- `writer`, `rules`: each operator of the graph as an operator of TFLite;
- `channels`: channels in the order in which DEPTH_TO_SPACE wants them;
- `file`: the flatbuffer, read; `census` counts what is in it;
- `readback`: the file computed by PyTorch and compared with the graph, value by value.
"""
