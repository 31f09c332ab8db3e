"""See the import through: create the job, follow it, compare what arrived with what was written.

Requests and replies are pure functions (`request`, `reply`), what to do when is told by generators that know no network
(`flows`), and thin shells carry them out: with httpx (`client`, `aclient`), over gRPC (`grpc`), into a file (`lite`).
"""
