"""Presidio's pattern recognizers over texts: a JSON list of strings on stdin, findings in bytes on stdout.

No model of a language runs: recognizers that need one are left out, and so are context words, which raise scores only.
Every recognizer that ships for English is on, those of single countries too where they are enabled by default.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version

warnings.filterwarnings("ignore")

import tldextract  # noqa: E402
from presidio_analyzer import EntityRecognizer, RecognizerRegistry  # noqa: E402

# The list of domains that ships with it; it would fetch a newer one.
tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())

registry = RecognizerRegistry()
registry.load_predefined_recognizers(languages=["en"])
recognizers = [r for r in registry.recognizers if r.name not in ("SpacyRecognizer", "StanzaRecognizer", "TransformersRecognizer")]
texts = json.load(sys.stdin)

for recognizer in recognizers:
    recognizer.analyze("ada@example.com", recognizer.supported_entities, None)
started = time.perf_counter()
answers = []
for text in texts:
    found = []
    for recognizer in recognizers:
        found += recognizer.analyze(text, recognizer.supported_entities, None) or []
    answers.append(EntityRecognizer.remove_duplicates(found))
seconds = time.perf_counter() - started

rows = []
for text, found in zip(texts, answers):
    place = lambda at: len(text[:at].encode())
    rows.append([{"start": place(f.start), "end": place(f.end), "entity": f.entity_type} for f in found if f.score > 0])
json.dump({"version": version("presidio-analyzer"), "seconds": seconds, "rows": rows}, sys.stdout)
