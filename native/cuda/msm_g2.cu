// Multiplications in G2.
#include "affine.h"
#include "msm_kernels.h"

namespace anchorproof {
namespace cuda {

template class ResidentPoints<Fq2>;
template class ExtendedSums<Fq2>;
template class AffineSums<Fq2>;
template class Msm<Fq2>;

}  // namespace cuda
}  // namespace anchorproof
