"""Import jobs of a server: create them, follow them, compare the rows that arrived with those that were written.

Requests and replies are pure functions (`request`, `reply`). Generators that know no network decide what is sent when
(`flows`). Thin shells carry it out: over HTTP (`client`, `aclient`), over gRPC (`grpc`), into a file (`lite`).
"""
