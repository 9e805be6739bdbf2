"""What the maintainers run: `gates` (what must hold over the repository), `build` (what is made from the notebooks),
`assets` (recipes)."""
