"""`explain`: from an error that somebody pasted, or a record, to what is the matter and what to do about it.

| module | does |
| --- | --- |
| `sources` | reads a text, a file or stdin: JSON, JSON lines, arrays, gzip |
| `samples` | finds the records and the texts in what was read |
| `pasted` | takes off what surrounds a text, finds the refusals in it and writes each as AWS does |
| `refusals` | a sample's refusal, with what the record around it tells |
| `target` | which profile or model is meant, by the form of its identifiers alone |
| `verdict` | whether an identity policy can help, and what to do |
| `proposal` | the policy to add |
| `inquiry` | the same with what AWS says, where there are credentials |
| `report` | for people |
"""
