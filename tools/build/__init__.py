"""What is made from the notebooks: their outputs, the faces of packages, the workbooks, the README."""
