"""What is made from the notebooks: their outputs, the faces of packages, the way between lessons, the workbooks, the README."""
