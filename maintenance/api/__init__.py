"""The API of maintenance: tasks to read, and the verbs that a technician's client needs."""
