"""MLServer with a runtime of its own around the shared classifier."""

import sys
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

sys.path.insert(0, str(Path(__file__).parents[1]))
from classifier import Classifier


class Runtime(MLModel):
    """BYTES in, scores out; batches are put together by MLServer."""

    async def load(self) -> bool:
        self.classifier = Classifier()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        texts = [text for item in payload.inputs for text in StringCodec.decode_input(item)]
        scores = np.array(self.classifier(texts), dtype=np.float32)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("scores", scores)])
