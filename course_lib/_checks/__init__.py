"What the exercises are held against, one module for each chapter; `course_lib.exercises` loads them by name"
