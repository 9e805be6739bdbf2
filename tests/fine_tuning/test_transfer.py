"""Fine-tuning the embedded weights on a few drawn pets beats training from scratch, by a margin that is asserted."""
from benchmarks import transfer
from course_lib.core import mean_ci

SEEDS, EPOCHS = 3, 4


def test_twelve_breeds_twenty_pictures_each(counted):
    trains, held_out = transfer.pets(SEEDS, held_out=15)
    groups = [{p.tobytes() for p, _ in t} for t in [*trains, held_out]]
    assert len(set.union(*groups)) == sum(map(len, groups)) == 12*(SEEDS*20 + 15) # no picture is in two of them

    tuned = [transfer.run(s, t, held_out, EPOCHS, "embedded", 5e-3)[0] for s, t in enumerate(trains)]
    scratch = [transfer.run(s, t, held_out, EPOCHS, None, 5e-3)[0] for s, t in enumerate(trains)]
    gain = mean_ci(tuned, scratch)
    counted(f"embedded against scratch, 12 breeds x 20 drawn pets, {EPOCHS} epochs, {SEEDS} seeds: {100*gain.value:+.0f} points [{100*gain.low:+.0f}, {100*gain.high:+.0f}]")
    assert gain.low > 0.4
    assert min(tuned) > max(scratch) # on every seed, and across them
