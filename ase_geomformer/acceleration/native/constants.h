// Numbers that kernels and calls share.

// Multiplications that are worth waking another thread for.
constexpr int64_t FEWEST_SHARED = 262144;
// Rows up to which matrices of fewer columns are multiplied here. MKL puts more of them into an
// order of its own, which then pays: 512 atoms of silicon took 10 % longer without it.
constexpr int64_t FEWEST_COLUMNS = 32, MOST_NARROW = 512;
// Numbers of a right matrix up to which it is put into the order of its rows, on the stack.
constexpr int64_t MOST_TURNED = 16384;
// How many rows of a right matrix ahead are prefetched.
constexpr int64_t ROWS_AHEAD = 16;
// Largest index, besides four times their number, up to which indices are counted.
constexpr int64_t MOST_COUNTED = 4096;
