"""Run the notebooks and save their outputs: `python notebooks/run.py`, or with the names of some notebooks.

The stderr of libraries (logs, progress bars, paths of this machine) is left out, and pictures are saved small.
"""

import base64
import io
import os
import sys
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).resolve().parent
SECONDS_PER_CELL = 600
AS_IN_A_NEW_KERNEL = """
%reset -f
import os
os.environ.update({!r})
os.chdir({!r})
del os
"""


def executed(
    path: Path, working_folder: Path, injected: str | None = None, kernel: AsyncKernelManager | None = None
) -> nbformat.NotebookNode:
    """Return the notebook with the outputs of a new run. The file on disk does not change.

    Args:
        path: The notebook.
        working_folder: The folder that it runs in and writes to.
        injected: Code to run after the cell with the tag `parameters`, to change some of them.
        kernel: A kernel to run it in, with the environment of this process and none of the names of earlier notebooks.
            It stays alive. By default a new kernel, which imports everything again.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails. The message shows the cell.
    """
    notebook = nbformat.read(path, as_version=4)
    if injected is not None:
        (parameters,) = (i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ()))
        notebook.cells.insert(parameters + 1, nbformat.v4.new_code_cell(injected))
    if kernel is not None:
        variables = dict(os.environ)
        variables.pop("MPLBACKEND", None)  # the kernel has its own
        code = AS_IN_A_NEW_KERNEL.format(variables, str(working_folder))
        notebook.cells.insert(0, nbformat.v4.new_code_cell(code))
    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(working_folder)}},
    )
    client.execute()
    if kernel is not None:
        client.kc.stop_channels()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata["language_info"] = {"name": "python"}  # without the version of this machine's Python
    return notebook


def with_small_pictures(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook with each picture as a JPEG (for photos) or a PNG of 256 colors, if that is smaller."""
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if "image/png" in output.get("data", {}):
            original = base64.b64decode(output.data.pop("image/png"))
            picture = Image.open(io.BytesIO(original)).convert("RGB")
            png, jpeg = io.BytesIO(), io.BytesIO()
            picture.quantize(256).save(png, "PNG", optimize=True)
            picture.save(jpeg, "JPEG", quality=88, optimize=True)
            forms = [("image/png", original), ("image/png", png.getvalue()), ("image/jpeg", jpeg.getvalue())]
            kind, smallest = min(forms, key=lambda form: len(form[1]))
            output.data[kind] = base64.b64encode(smallest).decode()
    return notebook


if __name__ == "__main__":
    for path in [Path(name).resolve() for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        print(path.name, flush=True)
        nbformat.write(with_small_pictures(executed(path, FOLDER)), path)
