"""The course: run its experiments, collect their results, and write the page that a student follows."""
