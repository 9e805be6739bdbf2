"""The recipes of what lies in `course_lib/_assets`."""
