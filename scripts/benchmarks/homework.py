"""One MNIST epoch the homework's way: a DataLoader over PIL images, transformed one sample at a time."""

import torch
from torch.utils.data import Dataset
from torchvision import transforms


class Images(Dataset):
    """MNIST as torchvision's own dataset serves it: a PIL image a sample, transformed when asked for."""

    def __init__(self, images: torch.Tensor, targets: torch.Tensor):
        self.images, self.targets = images, targets
        self.to_pil = transforms.ToPILImage()
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int):
        return self.transform(self.to_pil(self.images[index])), int(self.targets[index])
