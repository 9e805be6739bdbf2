"What the exercises are held against, one module for each chapter; `course_lib.exercises.check` loads them all"
