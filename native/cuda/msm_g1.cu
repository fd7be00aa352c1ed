// Multiplications in G1, and the digit sort of both groups.
#include "affine.h"
#include "digits.h"
#include "msm_kernels.h"

namespace anchorproof {
namespace cuda {

template class ResidentPoints<Fq>;
template class ExtendedSums<Fq>;
template class AffineSums<Fq>;
template class Msm<Fq>;

}  // namespace cuda
}  // namespace anchorproof
