import subprocess
import sys


def test_settings_and_evidence_are_read_without_torch() -> None:
    code = (
        "import sys; from bioprune_core.training import Convergence, TrainingConfig, TrainingHistory, "
        "mask_tokens, pretraining; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
