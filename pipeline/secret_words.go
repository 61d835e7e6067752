package pipeline

// unset stands for what LoadOptions.SkipEnv left open.
const unset = "[unset]"
