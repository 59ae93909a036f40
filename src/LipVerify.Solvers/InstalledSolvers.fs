/// The solvers of this machine, found when they are first used.
module LipVerify.Solvers.InstalledSolvers

open LipVerify.Core.Bounds.Polynomials

/// Clp for linear and CSDP for semidefinite programs. Where one is missing, its answer names the package to install.
let all =
    {
        Linear = Clp.solve
        Semidefinite = Csdp.solve
    }
