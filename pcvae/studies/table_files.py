"""The files of a table of the paper: JSON, pictures as PNG and in TensorBoard, the table itself."""

from pcvae import show, training
from pcvae.files import write_json


def write_table(folder, name, record, text, pictures):
    """Writes a table and its pictures, and prints the table and the paths.

    Args:
        folder: a `pathlib.Path`, what gets ``results``, ``images`` and ``summaries``.
        name: of the table, such as "table1".
        record: what ``results/NAME.json`` holds; its ``rows`` are the step in TensorBoard.
        text: the table as text.
        pictures: {name: uint8 [height, width, 3]}.
    """
    path = folder / "results" / f"{name}.json"
    write_json(record, path)
    print(text, f"wrote {path}", sep="\n")
    log = training.ScalarLog(folder / "summaries", name)
    for title, picture in pictures.items():
        show.save_png(picture, folder / "images" / f"{title}.png")
        log.images(len(record["rows"]), f"images/{title}", picture)
        print(f"wrote {folder / 'images' / title}.png", flush=True)
    log.close()
