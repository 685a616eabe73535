"""What this container may compute with: cores, a GPU, and bfloat16 only where it is quick."""

from pathlib import Path
from typing import Any

from model_runner import machine

ENVIRONMENT = {
    # Threads that wait spin for about a tenth of a millisecond, as long as falling asleep and waking up costs, and then
    # sleep: spinning for longer, they take the cores from each other wherever the machine is shared.
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "5000",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "TOKENIZERS_PARALLELISM": "true",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""What a job's process is started with, unless the service's environment says otherwise."""

CPUINFO = Path("/proc/cpuinfo")
# Instructions without which bfloat16 on a CPU is emulated, about ten times slower than fp32.
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def cpu_has_bf16(cpuinfo: Path = CPUINFO) -> bool:
    """Whether the processor multiplies bfloat16 in hardware."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return bool(BF16_FLAGS & set(flags.split()))


def prepare(rank: int = 0, processes: int = 1) -> tuple[Any, str]:
    """One process's device (torch.device) and the precision of its matrix products, bf16 or fp32."""
    import torch  # noqa: PLC0415 - takes seconds

    torch.set_num_threads(max(1, machine.cores() // processes))
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")
        torch.cuda.set_device(rank)
        return torch.device("cuda", rank), "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return torch.device("cpu"), "bf16" if cpu_has_bf16() else "fp32"


def gpus() -> int:
    """How many GPUs there are."""
    import torch  # noqa: PLC0415

    return torch.cuda.device_count()


def out_of_memory(error: BaseException) -> bool:
    """Whether that is what an exception of PyTorch or Python means."""
    import torch  # noqa: PLC0415

    words = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(word in str(error) for word in words)


def peak_memory_mb() -> float:
    """The most memory that this process has held, in MB: the GPU's where it trains there."""
    import resource  # noqa: PLC0415

    import torch  # noqa: PLC0415

    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated() / 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
