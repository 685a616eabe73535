"""The same model in three languages that others speak: MLflow's, the Open Inference Protocol's, Hugging Face's."""

import json
import struct
from importlib.metadata import version as installed_version
from typing import Any

from flask import Flask, Response, jsonify, request

from mlops_contract.voucher import Voucher
from model_endpoint.errors import Contradiction, InvalidInput, NoModel, UnknownModel
from model_endpoint.incoming import body, exchange, payload
from model_endpoint.predict import Answer, parse_json, parse_object, parse_top_k, whole_number
from model_endpoint.server import Server

MLFLOW_FORMATS = ("inputs", "instances", "dataframe_split", "dataframe_records")
OUTPUTS = ("label", "score", "scores")
BINARY_HEADER = "Inference-Header-Content-Length"


def install(app: Flask, server: Server) -> None:
    """Adds the routes of the three protocols to `app`."""
    mlflow(app, server)
    open_inference(app, server)
    hugging_face(app, server)


def mlflow(app: Flask, server: Server) -> None:
    """MLflow's scoring protocol: /invocations, /ping, /version."""

    @app.post("/invocations")
    def invocations() -> Response:
        asked = parse_object(body(), {*MLFLOW_FORMATS, "params"})
        given = [name for name in MLFLOW_FORMATS if name in asked]
        if len(given) != 1:
            raise InvalidInput(f"Send exactly one of {', '.join(MLFLOW_FORMATS)}.")
        top_k = parse_top_k(_object(asked, "params").get("top_k"))
        answer = server.classify(_mlflow_texts(given[0], asked[given[0]]), exchange())
        rows = [_elements(row) for row in answer.ranked(top_k)]
        return jsonify({"predictions": [row[0] for row in rows] if top_k is None else rows})

    @app.get("/ping")
    def ping() -> Response:
        if server.replica.version is None:
            raise NoModel("No model yet: run the pipeline once, its first model becomes the Champion.")
        return Response("\n", mimetype="application/json")

    @app.get("/version")
    def version() -> Response:
        return Response(installed_version("mlflow"), mimetype="text/plain")


def _object(asked: dict[str, Any], field: str) -> dict[str, Any]:
    """The object that a field may hold; {} where it is null or not there."""
    value = asked.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{field} must be an object.")
    return value


def _mlflow_texts(form: str, value: Any) -> list[Any]:
    """The texts in any of MLflow's shapes; a table must have one column, or one named `text` or `input`."""
    if form == "dataframe_split":
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise InvalidInput('dataframe_split must be an object with "columns" and "data".')
        rows, columns = value["data"], value.get("columns", ["text"])
        if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
            raise InvalidInput("The columns of dataframe_split must be a list of names.")
        if any(not isinstance(row, list) or len(row) != len(columns) for row in rows):
            raise InvalidInput("Each row of dataframe_split must be a list as long as the columns.")
        place = columns.index(_column(dict.fromkeys(columns)))
        return [row[place] for row in rows]
    if isinstance(value, dict):
        column: Any = value[_column(value)]
        return column if isinstance(column, list) else [column]
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise InvalidInput(f"{form} must be a text, a list or an object.")
    return [_cell(row) for row in value]


def _cell(row: Any) -> Any:
    if isinstance(row, dict):
        return row[_column(row)]
    return row[0] if isinstance(row, list) and len(row) == 1 else row


def _column(table: dict[str, Any]) -> str:
    if len(table) == 1:
        return next(iter(table))
    for name in ("text", "input"):
        if name in table:
            return name
    raise InvalidInput('Of several columns one must be named "text" or "input".')


def open_inference(app: Flask, server: Server) -> None:
    """Open Inference Protocol V2, with the binary extension for inputs that Triton's clients use."""
    replica = server.replica

    def served(name: str, number: str | None) -> Voucher:
        loaded = replica.slot.current
        if loaded is None:
            raise NoModel("No model yet: run the pipeline once, its first model becomes the Champion.")
        found = loaded.version
        if name != found.name or number not in (None, str(found.version)):
            raise UnknownModel(f"Served here is {found.name}, version {found.version}.")
        return found

    @app.after_request
    def plain_errors(response: Response) -> Response:
        if request.path.startswith("/v2") and response.status_code >= 400 and response.is_json:
            error = response.get_json().get("error")
            if isinstance(error, dict):
                response.set_data(json.dumps({"error": error["message"]}))
        return response

    @app.get("/v2")
    def server_metadata() -> Response:
        return jsonify(
            {"name": "model-endpoint", "version": installed_version("mlflow"), "extensions": ["binary_tensor_data"]}
        )

    @app.get("/v2/health/live")
    def live() -> Response:
        return jsonify({"live": True})

    @app.get("/v2/health/ready")
    def server_ready() -> Response:
        response = jsonify({"ready": replica.ready})
        response.status_code = 200 if replica.ready else 503
        return response

    @app.get("/v2/models/<name>")
    @app.get("/v2/models/<name>/versions/<number>")
    def model_metadata(name: str, number: str | None = None) -> Response:
        found = served(name, number)
        labels = len(replica.slot.current.model.labels) if replica.slot.current else 0
        outputs = [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "score", "datatype": "FP32", "shape": [-1]},
            {"name": "scores", "datatype": "FP32", "shape": [-1, labels]},
        ]
        inputs = [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
        told = {"name": found.name, "versions": [str(found.version)], "platform": "text-classification"}
        return jsonify({**told, "inputs": inputs, "outputs": outputs})

    @app.get("/v2/models/<name>/ready")
    @app.get("/v2/models/<name>/versions/<number>/ready")
    def model_ready(name: str, number: str | None = None) -> Response:
        return jsonify({"name": served(name, number).name, "ready": True})

    @app.post("/v2/models/<name>/infer")
    @app.post("/v2/models/<name>/versions/<number>/infer")
    def infer(name: str, number: str | None = None) -> Response:
        served(name, number)
        document, binary = _split_binary(payload(), request.headers.get(BINARY_HEADER))
        outputs = _wanted(document.get("outputs"))
        if not isinstance(document.get("id"), str | None):
            raise InvalidInput('"id" must be a text.')
        _object(document, "parameters")
        answer = server.classify(_tensor_texts(document, binary), exchange())
        version = answer.loaded.version
        told: dict[str, Any] = {"model_name": version.name, "model_version": str(version.version)}
        if document.get("id") is not None:
            told["id"] = document["id"]
        return jsonify({**told, "outputs": [tensor for tensor in _tensors(answer) if tensor["name"] in outputs]})


def _split_binary(data: bytes, header_length: str | None) -> tuple[dict[str, Any], bytes]:
    length = len(data)
    if header_length is not None:
        length = int(header_length) if header_length.isdecimal() and len(header_length) < 12 else -1
    if not 0 <= length <= len(data):
        raise InvalidInput(f"{BINARY_HEADER} is not the length of the JSON part.")
    document = parse_json(data[:length])
    if not isinstance(document, dict):
        raise InvalidInput('The body must be an object with "inputs".')
    return document, data[length:]


def _tensor_texts(document: dict[str, Any], binary: bytes) -> list[Any]:
    tensors = document.get("inputs")
    if not isinstance(tensors, list) or len(tensors) != 1 or not isinstance(tensors[0], dict):
        raise InvalidInput('"inputs" must be a list with one tensor.')
    tensor = tensors[0]
    shape = tensor.get("shape")
    if tensor.get("name") != "text" or tensor.get("datatype") != "BYTES":
        raise InvalidInput('The input tensor must have the name "text" and the datatype "BYTES".')
    _object(tensor, "parameters")
    sizes = [whole_number(size) for size in shape] if isinstance(shape, list) else []
    if len(sizes) not in (1, 2) or None in sizes:
        raise InvalidInput("The shape must be [texts] or [texts, 1], and there must be a text.")
    texts = _unpack(binary) if binary else tensor.get("data")
    if not isinstance(texts, list) or not texts:
        raise InvalidInput('The input tensor has no "data".')
    texts = [text[0] if isinstance(text, list) and len(text) == 1 else text for text in texts]
    if [len(texts), 1][: len(sizes)] != sizes:
        raise Contradiction(f"The shape says {' × '.join(map(str, sizes))} texts, the data has {len(texts)}.")
    return texts


def _unpack(binary: bytes) -> list[str]:
    """BYTES elements: each with its length before it, as four bytes, little endian."""
    texts, place = [], 0
    try:
        while place < len(binary):
            (length,) = struct.unpack_from("<I", binary, place)
            text = binary[place + 4 : place + 4 + length]
            if len(text) != length:
                raise InvalidInput("The binary data ends within a text.")
            texts.append(text.decode())
            place += 4 + length
    except struct.error:
        raise InvalidInput("The binary data ends within a length.") from None
    except UnicodeDecodeError:
        raise InvalidInput("A text is not UTF-8.") from None
    return texts


def _wanted(outputs: Any) -> set[str]:
    """The names of the output tensors that are asked for: all, where none is."""
    if outputs is None or outputs == []:
        return set(OUTPUTS)
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        raise InvalidInput('"outputs" must be a list of objects with a name.')
    for output in outputs:
        if output.get("name") not in OUTPUTS:
            raise InvalidInput(f"There is no output {str(output.get('name'))[:50]!r}: there are {', '.join(OUTPUTS)}.")
        _object(output, "parameters")
    return {output["name"] for output in outputs}


def _tensors(answer: Answer) -> list[dict[str, Any]]:
    best = [row[0] for row in answer.ranked(1)]
    count, labels = answer.scores.shape
    scores = answer.scores.round(6).ravel().tolist()
    return [
        {"name": "label", "datatype": "BYTES", "shape": [count], "data": [label for label, _ in best]},
        {"name": "score", "datatype": "FP32", "shape": [count], "data": [score for _, score in best]},
        {"name": "scores", "datatype": "FP32", "shape": [count, labels], "data": scores},
    ]


def hugging_face(app: Flask, server: Server) -> None:
    """The text-classification shape of Hugging Face's inference API, at the root."""

    @app.post("/")
    def text_classification() -> Response:
        asked = parse_object(body(), {"inputs", "parameters", "options"})
        parameters = _object(asked, "parameters")
        _object(asked, "options")
        if parameters.get("function_to_apply") not in (None, "softmax"):
            raise InvalidInput("function_to_apply can only be softmax.")
        top_k = parse_top_k(parameters.get("top_k"))
        texts = asked.get("inputs")
        answer = server.classify([texts] if isinstance(texts, str) else texts, exchange())
        return jsonify([_elements(row) for row in answer.ranked(top_k)])


def _elements(row: list[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{"label": label, "score": score} for label, score in row]
