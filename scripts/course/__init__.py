"""The course: run all of its experiments, collect what they measured, and write the page that a student can follow."""
