-- Commits per author.

-- init:
CREATE TABLE IF NOT EXISTS authors (
	author TEXT PRIMARY KEY,
	commits INTEGER NOT NULL,
	first_at TEXT NOT NULL,
	last_at TEXT NOT NULL
);

-- on: CommitMade
INSERT INTO authors (author, commits, first_at, last_at)
VALUES (json_extract(:payload, '$.author'), 1, :occurred_at, :occurred_at)
ON CONFLICT (author) DO UPDATE SET
	commits = commits + 1,
	first_at = min(first_at, excluded.first_at),
	last_at = max(last_at, excluded.last_at);

-- reset:
DELETE FROM authors;
