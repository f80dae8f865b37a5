"""The evaluation of the shuffle, section by section as source 002 has it; `esker bench shuffle` prints it."""
