"""The peer: MiniLM behind LitServe with its own batching, by PyTorch and transformers, with mean pooling.

    python tests/load/litserve_minilm.py FOLDER --port 8400 [--rows 64] [--wait 0.005]

Needs litserve, torch and transformers, best in an environment of their own. Answers as `peers.py` asks
both servers: {"input": TEXT} gives {"vector": [...]}.
"""

import argparse

import litserve
import torch
import transformers


class Encoder(litserve.LitAPI):
    def __init__(self, folder, **options):
        super().__init__(**options)
        self.folder = folder

    def setup(self, device):
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder)
        self.model = transformers.AutoModel.from_pretrained(self.folder).eval()
        self.real = self.padded = self.batches = 0

    def decode_request(self, request):
        return request["input"]

    def predict(self, texts):
        alone = isinstance(texts, str)
        found = self.tokenizer([texts] if alone else texts, padding=True, truncation=True, max_length=128,
                               return_tensors="pt")  # fmt: skip
        with torch.inference_mode():
            states = self.model(**found).last_hidden_state
            mask = found["attention_mask"][..., None].to(states.dtype)
            vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
        self.real += int(mask.sum())
        self.padded += mask.numel()
        self.batches += 1
        if self.batches % 50 == 0:
            print(f"real over padded: {self.real / self.padded:.3f}", flush=True)
        return vectors[0] if alone else list(vectors)

    def encode_response(self, vector):
        return {"vector": vector.tolist()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=8400)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--wait", type=float, default=0.005)
    given = parser.parse_args()
    api = Encoder(given.folder, max_batch_size=given.rows, batch_timeout=given.wait)
    litserve.LitServer(api, accelerator="cpu").run(port=given.port, host="127.0.0.1", generate_client_file=False)
