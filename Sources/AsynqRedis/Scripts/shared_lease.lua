-- What the scripts share that ask which attempt of a task has its lease. Stands in front of each of them.

-- Which attempt of its task a lease belongs to: its fraction of a second, in microseconds. An extension keeps it.
local function mark(score)
  return math.floor(score % 1 * 1000000 + 0.5)
end
