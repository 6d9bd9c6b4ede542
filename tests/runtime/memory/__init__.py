"""The memory log beyond the contract: time, hooks, compaction, and groups under any schedule."""
