"""What JupyterLab calls before it saves a notebook: `python course.py learn` tells it to."""


def steady(model: dict, **kwargs: object) -> None:
    """Take the version of the reader's Python out of a notebook: JupyterLab puts it in as soon as a page is opened, and
    git would see a change where nobody made one"""
    if model["type"] == "notebook": model["content"]["metadata"].get("language_info", {}).pop("version", None)
