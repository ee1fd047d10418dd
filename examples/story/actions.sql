-- What was done with packages, per day.

-- init:
CREATE TABLE IF NOT EXISTS actions (
	day TEXT NOT NULL,
	action TEXT NOT NULL,
	count INTEGER NOT NULL,
	PRIMARY KEY (day, action)
) WITHOUT ROWID;

-- on: ActionTaken
INSERT INTO actions (day, action, count)
VALUES (substr(:occurred_at, 1, 10), json_extract(:payload, '$.action'), 1)
ON CONFLICT (day, action) DO UPDATE SET count = count + 1;

-- reset:
DELETE FROM actions;
