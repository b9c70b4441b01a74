"""Which colour does a picture have? One dataset: lines of picture, tab, colour."""

from collections.abc import Mapping

import numpy as np

from fgbench.data.annotations import read_lines
from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError
from fgbench.metrics.ranks import recall_at, target_ranks
from fgbench.requests import Embeddings, Images, Request, Texts
from fgbench.spec import DatasetSpec, EvaluationProtocol, MetricKey, TextProtocol
from fgbench.task import Loaded, Score, Scores

COLOURS = ("red", "green", "blue")

SWATCHES = DatasetSpec(
    id="swatches",
    task="colour-naming",
    title="Swatches",
    language="en",
    homepage="https://example.org/swatches",
    licence="CC0",
    citation="none",
    files={"annotations": ("swatches/colours.tsv",), "images": ("swatches",)},
    how_to_get="Paint them.",
    published_items={"*": 6},
    protocol=EvaluationProtocol(id="own", text=TextProtocol(kind="short", lowercase=True)),
    main=(MetricKey("*", "top1"),),
    metrics=("top1",),
)


class ColourNaming:
    """Rank three colours for each picture."""

    id = "colour-naming"
    title = "Colour naming"
    position = 900
    datasets: tuple[DatasetSpec, ...] = (SWATCHES,)

    def load(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> Loaded:
        """Items are (picture, number of its colour)."""
        root = files.image_root()
        items = []
        for where, line in read_lines(files.annotation("annotations")):
            name, _, colour = line.partition("\t")
            if colour not in COLOURS:
                raise DataError(f"{where}: expected a picture, a tab and one of {', '.join(COLOURS)}.")
            items.append((root.image(name, where), COLOURS.index(colour)))
        return Loaded(items[:limit], size={"*": len(items[:limit])})

    def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Request]:
        """Every picture, and a sentence for each colour."""
        texts = [spec.protocol.text.prepare(f"Something {colour}.") for colour in COLOURS]
        return {"images": Images([picture for picture, _ in loaded.items]), "texts": Texts(texts, "short")}

    def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Embeddings]) -> Scores:
        """Accuracy over the pictures that have an embedding."""
        images = features["images"]
        kept = np.flatnonzero(images.ok)
        wanted = np.array([colour for _, colour in loaded.items], dtype=np.int64)[kept]
        ranks = target_ranks(images.vectors[kept], features["texts"].vectors, np.arange(len(kept)), wanted)
        score = Score("*", "top1", recall_at(ranks.rank, 1), len(kept))
        return Scores([score], len(kept), images.reasons(), outcomes={"rank": ranks.rank})


TASK = ColourNaming()
