"""The whole stack on this machine: template.yaml's resources on moto, and small stand-ins for what moto lacks.

`python -m sandbox run FILE …` handles events and tells the story; `python -m sandbox serve` keeps a stack up.
Nothing here leaves the machine: every call that a function makes is answered in this process.
"""
